# One PostgreSQL for one test program. It obeys the lines of its standard input, and ends with it, however the program ends.
# $1: where the programs are; $2: the port; $3: the password of the user tokenberg.
set -eu
exec 2>&1
dir=$(mktemp -d "${TMPDIR:-/tmp}/tokenberg-postgres.XXXXXX")
cd "$dir"
stop() {
    if [ -f data/postmaster.pid ]; then
        "$1/pg_ctl" -D data -m "$2" -w stop >/dev/null || true
    fi
}
trap 'stop "$1" immediate; rm -rf "$dir"' EXIT
trap '' INT
printf '%s\n' "$3" >password
"$1/initdb" -D data -U tokenberg --auth-local=trust --auth-host=scram-sha-256 --pwfile=password \
    --no-sync --no-instructions --locale=C --encoding=UTF8 >initdb.log || { cat initdb.log; exit 1; }
umask 077
printf '%s' "$CERTIFICATE" >data/server.crt
printf '%s' "$PRIVATE_KEY" >data/server.key
start() {
    "$1/pg_ctl" -D data -l log -w -t 60 \
        -o "-p $2 -k $dir -c listen_addresses=127.0.0.1 -c ssl=on -c fsync=off -c max_connections=300 -c shared_buffers=32MB" \
        start >/dev/null || { cat log; exit 1; }
}
start "$1" "$2"
echo done
while read -r command name; do
    case $command in
    create) "$1/createdb" -h "$dir" -p "$2" -U tokenberg "$name" || { echo failed; continue; } ;;
    stop) stop "$1" "$name" ;;
    start) start "$1" "$2" ;;
    STOP | CONT)
        server=$(head -n 1 data/postmaster.pid)
        kill -s "$command" "$server" $(cat "/proc/$server/task/$server/children") || { echo failed; continue; }
        ;;
    esac
    echo done
done
