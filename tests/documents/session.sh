# What a session has beside the blocks of its page: a world to begin with, how a block is run,
# and servers.
documents=$(dirname "${BASH_SOURCE[0]}")
root=$(dirname "$(dirname "$documents")")
printf '\n%.0s' {1..20} >/tmp/answers
cd ~
if [ -e "$world" ]; then
    cp -a "$world/." /
    cd my-project
fi

block() { # block FILE: its first command that fails ends it
    trap 'code=$?; ((${#BASH_SOURCE[@]} > 1)) && return "$code"' ERR
    case $1 in
        # Who is asked something takes the default. Nobody is asked by Python.
        *.python) python - <"$1" >"$1.out" 2>&1 ;;
        *) . "$1" </tmp/answers >"$1.out" 2>&1 ;;
    esac
}

ended() { # ended FILE CODE WANTED
    trap - ERR
    echo "$2" >"$1.code"
    [ "$2" -eq "$3" ] || exit 1
}

skip() { # skip REASON...: the page can't be run on this machine
    echo "$*" >"$folder/skip"
    exit 77
}

need() { # need PROGRAM...
    local each
    for each; do
        PATH=$PATH:/usr/sbin:/sbin type -P "$each" >/dev/null || skip "$each is not installed"
    done
}

need_users() { # several users take part
    [ "$SANDBOX_ROOT" = real ] || skip "only root can be several users"
}

must_fail() { # must_fail COMMAND...
    if "$@"; then echo "it did not fail: $*" && return 1; fi
}

sudo() { "$@"; }
type -P aws >/dev/null || aws() { python "$documents/aws.py" "$@"; }

serve_s3() { # a server for AWS_ENDPOINT_URL, with these buckets
    local bucket said code=0
    said=$(python "$documents/servers.py" s3) || code=$?
    [ $code -ne 77 ] || skip "weed is not installed"
    eval "$said"
    for bucket; do
        python "$documents/aws.py" s3api create-bucket --bucket "$bucket"
    done
}

serve_tls() { # serve_tls NAME: that server again, as https://NAME, and the one who vouches for it
    need openssl
    local made=/etc/ssl/certs/my-authority.pem
    mkdir -p /etc/ssl/certs
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 \
        -subj "/CN=$1" -addext "subjectAltName=DNS:$1" -keyout /run/tls.key -out $made
    python "$documents/servers.py" tls "${AWS_ENDPOINT_URL##*:}" $made /run/tls.key &
    until (: </dev/tcp/127.0.0.1/443) 2>/dev/null; do sleep 0.05; done
}

serve_ssh() { # where everyone has a password, which askpass.sh knows
    need sshd ssh-keyscan ssh-agent
    mkdir -p /run/sshd
    rm -f /etc/ssh/ssh_host_*
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'UsePAM no' 'PidFile none' "$@" \
        'Subsystem sftp internal-sftp -u 0002' >/etc/ssh/sshd_config
    /usr/sbin/sshd
    eval "$(ssh-agent)"
    export SSH_ASKPASS=$documents/askpass.sh SSH_ASKPASS_REQUIRE=force
}

new_user() { # new_user NAME
    need openssl
    echo CREATE_MAIL_SPOOL=no >>/etc/default/useradd
    useradd --create-home --shell /bin/sh --password "$(openssl passwd -6 "secret of $1")" "$1"
}
