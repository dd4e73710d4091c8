ln -s "$root" ~/lazydata
### git init ~/my-project
cd ~
rm -rf ~/my-project ~/.local/share/lazydata ~/.cache
### python my_script.py
# The block above was a program of its own, and tracked the table.
rm -rf lazydata.yml .lazydata data/.gitignore
lazydata init
