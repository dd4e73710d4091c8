echo again >data/x.csv
lazydata track data/x.csv
git checkout -q lazydata.yml
lazydata restore data/x.csv
### lazydata gc --forget /home/me/old-project
git init -q ~/old-project
cd ~/old-project
lazydata init
echo 1 >old.csv
lazydata track old.csv
cd ~/my-project
rm -rf ~/old-project
lazydata gc --force | grep 'nobody knows what is needed'
