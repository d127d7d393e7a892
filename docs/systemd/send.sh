#!/bin/sh
# Upload the drives in a folder, then free space; see docs/raspberry_pi.md, "6. Automatic upload".
#
#     docs/systemd/send.sh DRIVES SHARE
#
# Does nothing during a drive, without a network or on a metered one. When a drive begins, it stops:
# both scripts can be interrupted at any point, and the next run goes on where this one ended.

drives=${1:?folder of the drives} share=${2:?share of the disk that is to be free, such as 20%}
python=${PYTHON:-.venv/bin/python}
network=org.freedesktop.NetworkManager

if [ "$(id -u)" = 0 ]; then
    echo "run as the user who drives, not as root: files of root could not be recorded into" >&2
    exit 1
fi

driving() {
    pgrep -f 'run_manual\.py' >/dev/null
}

# Print a number that NetworkManager tells, or nothing.
property() {
    busctl get-property "$network" /org/freedesktop/NetworkManager "$network" "$1" 2>/dev/null |
        cut -d ' ' -f 2
}

# NMState 60 and 70: connected. NMMetered 1 and 3: yes, and guessed so.
may_send() {
    case $(property State) in
        60 | 70) ;;
        *) echo "not now: no network" && return 1 ;;
    esac
    case $(property Metered) in
        0 | 2 | 4) ;;
        *) echo "not now: the network is metered" && return 1 ;;
    esac
    ! driving || { echo "not now: a drive is running" && return 1; }
}

# End the script, at the latest after 5 s: a drive waits 10 s for the folder of an upload.
stop_script() {
    kill -TERM "$script"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.5
        kill -0 "$script" 2>/dev/null || return
    done
    kill -KILL "$script"
}

# Run a script, and end it when a drive begins.
parked() {
    "$python" "$@" &
    script=$!
    while kill -0 "$script" 2>/dev/null; do
        if driving; then
            stop_script
            wait "$script"
            echo "stopped: a drive begins"
            exit $status
        fi
        sleep 0.5
    done
    wait "$script"
}

status=0
set --
for folder in "$drives"/*/; do
    folder=${folder%/}
    if [ -e "$folder/labels.json" ] || [ -e "$folder/labels.journal" ]; then
        may_send || exit $status
        parked get_data/upload_data.py "$folder" || status=1
        set -- "$@" "$folder"
    fi
done
if [ $# -gt 0 ]; then
    may_send || exit $status
    parked get_data/free_space.py --until "$share" -y "$@" || status=1
fi
exit $status
