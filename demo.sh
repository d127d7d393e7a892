#!/bin/sh
# From a drive to a training set: what `make demo` runs, one command after the other.
set -e
python=$1
database=${2:-local}
mkdir -p demo/drives
PATATE_HOME=$PWD/demo # a database of the demo's own
export PATATE_HOME

case $database in
local)
    PATATE_DATABASE=local
    export PATATE_DATABASE
    ;;
team)
    if [ -z "$PATATE_ES_URL" ]; then # else the one that the variables name
        "$python" -m tests.servers >demo/servers.env &
        servers=$!
        trap 'kill $servers; wait $servers || true' EXIT
        trap 'exit 130' INT TERM HUP # else EXIT is not run
        until [ -s demo/servers.env ]; do
            kill -0 $servers || exit 1
            sleep 0.2
        done
        . demo/servers.env
    fi
    ;;
*)
    echo "DATABASE is $database; it may be local or team" >&2
    exit 2
    ;;
esac

number=1
while [ -e "demo/drives/$number" ]; do number=$((number + 1)); done
drive=demo/drives/$number

# Says what comes, shows the command, and runs it.
step() {
    printf '\n\033[1m%s\033[0m\n' "$1"
    script=get_data/$2
    shift 2
    echo "\$ python $script $*" | fold -s -w 74 | sed '1!s/^/      /'
    "$python" "$script" "$@" >demo/counts.json
}

step "A simulated car drives; every picture is recorded with its label." \
    run_manual.py -o "$drive" --simulate --duration "${DEMO_SECONDS:-30}" \
    --event demo --track school --track-type asphalt --driver simulator --comment "drive-$number"
step "Pictures and labels go into the database." \
    upload_data.py "$drive"
step "A search finds the moments of hard left steering, with their pictures." \
    search_and_download.py -q get_data/queries/hard_left.json -p demo/hard_left
step "What was found, on one sheet." \
    contact_sheet.py demo/hard_left

cat <<END

Where everything is
  $drive              the drive: pictures and labels.json
  demo/hard_left             the training set: pictures and labels.json
  demo/hard_left/contact_sheet.png    look at this one
END
if [ "$database" = team ]; then
    cat <<END

What to type next
  make servers               an Elasticsearch and an S3 that stay until Ctrl-C
END
else
    cat <<END
  demo/database              the database: index.sqlite and pictures/

What to type next
  make demo                          to add a second drive
  export PATATE_HOME=$PWD/demo
                                     so that the scripts use the demo's database
  .venv/bin/python get_data/run_labelizer.py demo/hard_left
                                     to correct these labels in a browser
  .venv/bin/python get_data/search_and_download.py -p demo/all
                                     to fetch all of the demo's database
  .venv/bin/python get_data/search_and_download.py --help
END
fi
