#!/bin/sh
# From a drive to a car that drives itself: what `make demo` runs, one command after the other.
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
seconds=${DEMO_SECONDS:-60}

# Says what comes, shows the command, and runs it.
step() {
    printf '\n\033[1m%s\033[0m\n' "$1"
    script=$2
    shift 2
    echo "\$ python $script $*" | fold -s -w 72 | sed '1!s/^/      /; $!s/ *$/ \\/'
    case $script in
    docs/*) "$python" "$script" "$@" ;;
    *) "$python" "$script" "$@" >demo/counts.json ;;
    esac
}

# Prints how well a drive kept to the road, by the counts of run_manual.py.
kept_to_the_road() {
    "$python" - "$1" <<'END'
import json, sys
counts = json.load(open(sys.argv[1]))
road = "{rms_offset_m:.3f} m rms from the centre line, {on_road:.1%} of the time on the road"
print(road.format(**counts))
END
}

step "A simulated car drives; every picture is recorded with its label." \
    get_data/run_manual.py -o "$drive" --simulate --duration "$seconds" --event demo \
    --track school --track-type asphalt --driver simulator --comment "drive-$number"
cp demo/counts.json demo/person.json
step "Pictures and labels go into the database." \
    get_data/upload_data.py "$drive"
step "Slips of the thumb are corrected; a person would do that in the browser." \
    docs/examples/correct.py "$drive" demo/corrected.json
step "The corrections go into the database." \
    get_data/upload_to_db.py demo/corrected.json -p "$drive" -y
step "A search finds the moments of hard left steering, with their pictures." \
    get_data/search_and_download.py -q get_data/queries/hard_left.json -p demo/hard_left
step "What was found, on one sheet." \
    get_data/contact_sheet.py demo/hard_left
step "Up to 200 pictures of each direction are fetched, with corrected labels." \
    get_data/search_and_download.py -p demo/training --per-class label.label_direction=200
step "A model learns to steer from it." \
    docs/examples/train.py demo/training demo/pilot.json
step "The model drives the car." \
    get_data/run_manual.py -o "$drive-by-model" --simulate --pilot demo/pilot.json \
    --duration $((seconds / 2 + 1)) --event demo --track school --track-type asphalt \
    --driver model --comment "drive-$number"

cat <<END

How well it drove
  person  $(kept_to_the_road demo/person.json)
  model   $(kept_to_the_road demo/counts.json)

Where everything is
  $drive              the drive: pictures and labels.json
  $drive-by-model     what the model drove
  demo/training              the training set: pictures and corrected labels
  demo/pilot.json            the model, made by docs/examples/train.py
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
  make demo                        to add a second drive
  export PATATE_HOME=$PWD/demo
                                   so that the scripts use the demo's database
  .venv/bin/python get_data/run_labelizer.py demo/training
                                   to correct these labels in a browser
  .venv/bin/python get_data/run_manual.py -o demo/watch --simulate \\
      --pilot demo/pilot.json --view 8080
                                   to watch the model drive, in a browser
  .venv/bin/python get_data/search_and_download.py --count
                                   to see what there is to train on
END
fi
