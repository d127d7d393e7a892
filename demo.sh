#!/bin/sh
# From a drive to a training set: what `make demo` runs, one command after the other.
set -e
python=$1
export PATATE_HOME=demo # a database of the demo's own

number=1
while [ -e "demo/drives/$number" ]; do number=$((number + 1)); done
drive=demo/drives/$number

step() {
    printf '\n\033[1m%s\033[0m\n$ python %s\n' "$1" "$2"
    # shellcheck disable=SC2086
    "$python" $2 >demo/counts.json
}

mkdir -p demo/drives
step "A simulated car drives for half a minute; every picture is recorded with its label." \
    "get_data/run_manual.py -o $drive --simulate --duration ${DEMO_SECONDS:-30} --event demo --track school --track-type tape --driver simulator --comment drive-$number"
step "Pictures and labels go into the database." \
    "get_data/upload_data.py $drive"
step "A search finds the moments of hard left steering, and fetches their pictures." \
    "get_data/search_and_download.py -q get_data/queries/hard_left.json -p demo/hard_left"
step "What was found, on one sheet." \
    "get_data/contact_sheet.py demo/hard_left"

cat <<END

Where everything is
  $drive                       the drive: pictures, labels.json, session_template.json
  demo/database                      the database: index.sqlite and pictures/
  demo/hard_left/labels.json         the training set: labels, with their pictures beside them
  demo/hard_left/contact_sheet.png   look at this one

What to type next
  make demo                                                    adds a second drive
  export PATATE_HOME=demo                                      to ask the demo's database
  .venv/bin/python get_data/search_and_download.py -p demo/all     fetches everything
  .venv/bin/python get_data/search_and_download.py --help
END
