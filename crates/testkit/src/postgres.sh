# One PostgreSQL for one test program. It obeys the lines of its standard input, and ends with it, however the program ends.
# $1: where the programs of the server are; $2: the port; $3: the password of the user tokenberg; $4: where createdb is.
set -eu
exec 2>&1
dir=$(mktemp -d "${TMPDIR:-/tmp}/tokenberg-postgres.XXXXXX")
cd "$dir"
stop() {
    if [ -f "$3/postmaster.pid" ]; then
        "$1/pg_ctl" -D "$3" -m "$2" -w stop >/dev/null || true
    fi
}
trap 'stop "$1" immediate data; stop "$1" immediate standby; rm -rf "$dir"' EXIT
trap '' INT
printf '%s\n' "$3" >password
"$1/initdb" -D data -U tokenberg --auth-local=trust --auth-host=scram-sha-256 --pwfile=password \
    --no-sync --locale=C --encoding=UTF8 >initdb.log || { cat initdb.log; exit 1; }
umask 077
printf '%s' "$CERTIFICATE" >data/server.crt
printf '%s' "$PRIVATE_KEY" >data/server.key
start() {
    "$1/pg_ctl" -D "$3" -l "log-$3" -w -t 60 \
        -o "-p $2 -k $dir -c listen_addresses=127.0.0.1 -c ssl=on -c fsync=off -c max_connections=300 -c shared_buffers=32MB" \
        start >/dev/null || { cat "log-$3"; exit 1; }
}
start "$1" "$2" data
echo done
while read -r command name from; do
    case $command in
    create) "$4/createdb" -h "$dir" -p "$2" -U tokenberg "$name" || { echo failed; continue; } ;;
    stop) stop "$1" "$name" data ;;
    start) start "$1" "$2" data ;;
    standby)
        # It has the present state. It follows the server at the port `from`; without one it receives nothing of what follows, as an
        # asynchronous standby that is cut off.
        stop "$1" fast data
        rm -rf standby
        cp -a data standby
        touch standby/standby.signal
        if [ -n "$from" ]; then
            echo "primary_conninfo = 'host=127.0.0.1 port=$from user=tokenberg password=$3 application_name=standby sslmode=disable'" \
                >>standby/postgresql.auto.conf
        fi
        start "$1" "$2" data
        start "$1" "$name" standby
        ;;
    promote) "$1/pg_ctl" -D standby -w -t 60 promote >/dev/null || { echo failed; continue; } ;;
    STOP | CONT)
        server=$(head -n 1 data/postmaster.pid)
        kill -s "$command" "$server" $(cat "/proc/$server/task/$server/children") || { echo failed; continue; }
        ;;
    esac
    echo done
done
