rm .gitignore
### lazydata status data/images/cats data/images/labels.csv
printf kitten >data/images/cats/1.jpg
### lazydata pull data/images/cats           # one subdirectory
lazydata restore data/images
lazydata push
git add .
git commit -qm Images
git clone -q . ~/friends-clone
export LAZYDATA_HOME=~/friend
cd ~/friends-clone
### printf '*.tmp\nscratch/\n' > data/images/.lazydataignore
unset LAZYDATA_HOME
cd ~/my-project
### lazydata restore data/images/cats/1.jpg
rm data/images/cats/1.jpg
### lazydata ls --versions data/images
rm data/images/cats/3.jpg
lazydata track data/images
### end
lazydata ls --versions data/images | tail -n 1 | grep ff8c
