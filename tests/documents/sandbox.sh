# A machine to type at: sandbox.sh FOLDER KEEP... -- COMMAND...
#
# To be run in new namespaces of mounts, processes and the network. The command sees the programs
# of this machine, read-only; a home, a /srv, ... of its own, all empty, that go with it; a copy of
# /etc; and no network but itself. FOLDER is what it shares with whoever started it, and the only
# place where something stays. KEEP is what has to be seen in any case, wherever it lies.
set -eu
folder=$1
shift

new=$folder/root
mkdir -p "$new"
mount -t tmpfs -o mode=755 tmpfs "$new"

bind() { # bind PATH
    mkdir -p "$new$1"
    mount --rbind "$1" "$new$1"
}

bind_read_only() { # bind_read_only PATH
    bind "$1"
    # An ordinary user may not where a mount came with more options; and can't do much harm.
    mount -o remount,bind,ro "$new$1" 2>/dev/null || [ "$SANDBOX_ROOT" != real ]
}

for path in /*; do
    case $path in
        /proc) mkdir "$new/proc" && mount -t proc proc "$new/proc" ;;
        /dev | /sys) bind "$path" ;;
        /etc) cp -a /etc "$new/etc" 2>/dev/null || [ "$SANDBOX_ROOT" != real ] ;;
        /data | /home | /mnt | /run | /scratch | /srv | /tmp) ;;
        *)
            if [ -L "$path" ]; then
                cp -P "$path" "$new$path"
            elif [ -d "$path" ]; then
                bind_read_only "$path"
            fi
            ;;
    esac
done
mkdir -p "$new"/{data,home,mnt,run,scratch,srv,tmp}
chmod 1777 "$new/tmp" "$new/scratch"
while [ "$1" != -- ]; do
    bind_read_only "$1"
    shift
done
shift
bind "$folder"

# Whoever is root here is called me.
echo 'me:x:0:0::/home/me:/bin/bash' | cat - /etc/passwd >"$new/etc/passwd"
sed '1s/.*/&\nme:*::0:99999:7:::/' /etc/shadow >"$new/etc/shadow" 2>/dev/null || :
echo "127.0.0.1 localhost server s3.example.org data.internal.example.org gate.example.org" \
    >"$new/etc/hosts"
mkdir "$new/home/me"
python3 - <<'END'
import fcntl
import socket
import struct

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
END
exec chroot "$new" "$@"
