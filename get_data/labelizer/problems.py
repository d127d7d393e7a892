"""Problems of a label file and its pictures, as the page and the terminal report them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct, field

from get_data.labelizer.entries import Group, LabelEntry
from get_data.labelizer.picture_folder import FolderFile, printable_name
from get_data.labelizer.unlabelled import Unlabelled
from get_data.labels import session


class Problem(Struct, frozen=True):
    """A problem of an entry, or of none (`position` -1), as the page gets it."""

    name: str
    reason: str = field(name="what")
    position: int = -1


Problems = dict[str, list[Problem]]


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem, with a remedy."""

    singular: str
    plural: str
    remedy: str


PROBLEM_KINDS = {
    "invalid": ProblemKind(
        "invalid label",
        "invalid labels",
        "Set direction and speed, or mark for deletion. Labels that stay invalid are not exported.",
    ),
    "hopeless": ProblemKind(
        "invalid label that cannot be corrected here",
        "invalid labels that cannot be corrected here",
        "Not exported. Correct the entries in the label file by hand.",
    ),
    "missing": ProblemKind(
        "label without a picture",
        "labels without a picture",
        "Fetch them with search_and_download.py. Without them, labels can be corrected and "
        "exported, and applied if their pictures are in the database.",
    ),
    "broken": ProblemKind(
        "broken picture",
        "broken pictures",
        "Mark those for deletion that should not be kept.",
    ),
    "unlabelled": ProblemKind(
        "picture without a label",
        "pictures without a label",
        "Set their direction and speed; “not labelled” shows them alone. Those that stay without a "
        "label are not exported.",
    ),
    "misnamed": ProblemKind(
        "picture that cannot be labelled",
        "pictures that cannot be labelled",
        "Rename them, and start the labelizer again.",
    ),
    "template": ProblemKind(
        "session template that cannot be read",
        "session templates that cannot be read",
        "New labels are without event, track and driver until it is corrected.",
    ),
    "groups": ProblemKind(
        "set of classes in this file",
        "different sets of classes in one file",
        "All labels can be corrected, but an edit of a selection (a class, a confirmation, a "
        "deletion) changes only the labels with the same classes as the picture shown.",
    ),
    "corrections": ProblemKind(
        "correction already in this file",
        "corrections already in this file",
        "Apply them with upload_to_db.py and search again before you correct them further.",
    ),
}


def find_problems(
    entries: Sequence[LabelEntry],
    groups: Counter[Group],
    files: Mapping[str, FolderFile],
    unlabelled: Unlabelled,
) -> Problems:
    """Return the problems by kind, in the order of the entries."""
    problems: Problems = {kind: [] for kind in PROBLEM_KINDS}
    for position, entry in enumerate(entries):
        for kind, reason in _entry_problems(entry, files):
            problems[kind].append(Problem(entry.img_id, reason, position))
    problems["misnamed"] = [
        Problem(printable_name(name), reason) for name, reason in unlabelled.misnamed
    ]
    if unlabelled.template_fault:
        problems["template"] = [Problem(session.NAME, unlabelled.template_fault)]
    if len(groups) > 1:
        problems["groups"] = [
            Problem(f"{group.nb_dir} directions, {group.nb_speed} speeds", f"{count} labels")
            for group, count in groups.most_common()
        ]
    return problems


def _entry_problems(entry: LabelEntry, files: Mapping[str, FolderFile]) -> list[tuple[str, str]]:
    """Return kind and reason of each problem of an entry."""
    label, found = entry.label, []
    if entry.template is not None:
        found.append(("unlabelled", f"no label names {label.file_name}"))
    if entry.fault:
        found.append(("hopeless" if entry.hopeless else "invalid", entry.fault))
    if not label.file_name:
        found.append(("missing", "the label names no picture"))
    elif label.file_name not in files:
        found.append(("missing", f"{label.file_name} is not in the folder"))
    if fault := entry.find_picture_fault(files):
        found.append(("broken", fault))
    if label.marked:
        found.append(("corrections", "marked for deletion"))
    elif label.replaces:
        found.append(("corrections", "corrects another label"))
    return found
