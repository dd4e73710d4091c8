need_users
lazydata track data/images
### git config --global --add safe.directory '*'
cp -a ~/my-project/. /srv/project/
cd /srv/project
### end
lazydata gc | must_fail grep 'nobody knows'
lazydata verify
rm -r ~/.local/share/lazydata data
lazydata pull .
# All that is there is the group's, whatever our umask.
umask 077
echo new >data/new.csv
chmod 644 data/new.csv
lazydata track data/new.csv
find /srv/lazydata ! -group data -o -type d ! -perm -2070 -o ! -perm -040 | must_fail grep .
