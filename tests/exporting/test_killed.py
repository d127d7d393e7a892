"""An export that is killed, at any moment: its folder is whole, or not there."""

import json
import subprocess
import sys

import path
from tests.conftest import save
from tests.exporting.conftest import FORMATS, drive_labels
from tests.exporting.plain_readers import read

MOMENTS = 20
# Each export is a copy of one process, which kills itself before the n-th time that it opens,
# links, renames, creates or removes something in the test's folder.
CODE = """
import json, os, signal, sys
from get_data import export_set as script
from get_data.commands import export_set

def watch(folder, kill_at):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event not in ("open", "os.link", "os.rename", "os.mkdir", "os.rmdir", "os.remove"):
            return
        if any(isinstance(each, (str, os.PathLike)) and str(each).startswith(folder)
               for each in arguments):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    return lambda: seen

def export(source, out, name, kill_at):
    copy = os.fork()
    if copy == 0:
        count = watch(folder, kill_at)
        code = script.main([source, "-o", out, "--format", name])
        os._exit(code or min(count(), 250))
    return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])

source, folder, moments = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.stdout = sys.stderr = open(os.devnull, "w")
found = {}
for name in sys.argv[4:]:
    export_set.load_exporter(name)
    place = f"{folder}/{name}"
    os.mkdir(place)
    total = export(source, f"{place}/whole", name, 0)
    outcomes = []
    for moment in range(moments):
        kill_at = 1 + moment * total // moments
        code = export(source, f"{place}/out", name, kill_at)
        outcomes.append([code, os.path.lexists(f"{place}/out")])
    found[name] = [total, outcomes, export(source, f"{place}/out", name, 0)]
print(json.dumps(found), file=sys.__stdout__)
"""


def test_a_killed_export_leaves_nothing_under_its_name_and_the_next_one_is_whole(
    tmp_path,
):
    recorded = save(tmp_path / "set", drive_labels(MOMENTS))
    ended = subprocess.run(
        [sys.executable, "-c", CODE, recorded, tmp_path, str(MOMENTS), *FORMATS],
        cwd=path.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name, (total, outcomes, last) in json.loads(ended.stdout).items():
        assert total >= MOMENTS, name
        assert outcomes == [[-9, False]] * MOMENTS, name
        assert last >= total  # with the removal of what the killed ones left
        place = tmp_path / name
        assert sorted(file.name for file in place.iterdir()) == ["out", "whole"]
        assert read(place / "out", name) == read(place / "whole", name)
