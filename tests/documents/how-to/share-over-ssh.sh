need_users
new_user anna
serve_ssh 'Port 22' 'Port 2222'
lazydata remove-remote origin
### lazydata add-remote ssh://server/srv/lazydata
lazydata remove-remote origin
printf 'Host server\n    User anna\n' >>~/.ssh/config
### lazydata add-remote ssh://databox/srv/lazydata
lazydata remove-remote origin
ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/work
ssh anna@server 'cat >>.ssh/authorized_keys' <~/.ssh/work.pub
ssh-keyscan gate.example.org >>~/.ssh/known_hosts
ssh-keyscan -p 2222 data.internal.example.org >>~/.ssh/known_hosts
cat >>~/.ssh/config <<'END'
Host databox
    HostName data.internal.example.org
    User anna
    Port 2222
    IdentityFile ~/.ssh/work
    IdentitiesOnly yes
    ProxyJump gate.example.org
Host gate.example.org
    User anna
END
### end
lazydata push --check
# What anna wrote, others of the group may write to as well.
find /srv/lazydata ! -group data -o -type d ! -perm -g=w | must_fail grep .
