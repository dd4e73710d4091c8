need_users
groupadd data
rm -rf /srv/share/lazydata
lazydata remove-remote origin
### end
lazydata verify
