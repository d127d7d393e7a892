"""The lease: one page at a time may write."""

import pytest

from get_data.labelizer.work_file import LeaseLost
from get_data.labelizer.workspace import LEASE_TIMEOUT_S, Workspace
from tests.labelizer.helpers import make_operation, read_folder, save_operations


def test_a_lease_that_was_taken_over_is_void(workspace):
    first = workspace.take_lease("browser one", take_over=False)
    second = workspace.take_lease("browser two", take_over=True)
    with pytest.raises(LeaseLost, match=f"lease {first} "):
        save_operations(workspace, first, make_operation())
    assert workspace.work.decisions() == []
    save_operations(workspace, second, make_operation(direction=3))


def test_a_lease_without_heartbeats_expires(folder):
    now = [100.0]
    workspace = Workspace(read_folder(folder), "Zoé", clock=lambda: now[0])
    epoch = workspace.take_lease("browser one", take_over=False)
    assert workspace.take_lease("browser two", take_over=False) is None
    now[0] += LEASE_TIMEOUT_S - 1
    assert workspace.heartbeat("browser one", epoch)["holds"]
    now[0] += LEASE_TIMEOUT_S - 1
    assert workspace.take_lease("browser two", take_over=False) is None
    now[0] += 2
    assert workspace.take_lease("browser two", take_over=False) == epoch + 1
    workspace.close()


def test_a_read_only_page_learns_that_the_lease_has_expired(folder):
    """It can then take the lease by itself; saving counts as a heartbeat."""
    now = [100.0]
    workspace = Workspace(read_folder(folder), "Zoé", clock=lambda: now[0])
    assert not workspace.heartbeat("browser two", 0)[
        "free"
    ]  # a page from before the restart may exist
    epoch = workspace.take_lease("browser one", take_over=False)
    now[0] += LEASE_TIMEOUT_S - 1
    assert not workspace.heartbeat("browser two", 0)["free"]
    save_operations(workspace, epoch, make_operation(direction=3))
    now[0] += LEASE_TIMEOUT_S - 1
    assert not workspace.heartbeat("browser two", 0)["free"]
    now[0] += 1
    assert workspace.heartbeat("browser two", 0)["free"]
    assert not workspace.heartbeat("browser one", epoch)["free"]
    assert not workspace.heartbeat("browser two", 0)["free"]  # a late heartbeat renews the lease
    now[0] += LEASE_TIMEOUT_S
    assert workspace.take_lease("browser two", take_over=False) == epoch + 1
    assert not workspace.heartbeat("browser one", epoch)["free"]
    workspace.close()


def test_the_lease_is_free_if_no_heartbeat_follows_a_restart(folder):
    now = [100.0]
    workspace = Workspace(read_folder(folder), "Zoé", clock=lambda: now[0])
    now[0] += LEASE_TIMEOUT_S
    assert workspace.heartbeat("browser two", 0)["free"]
    workspace.close()
