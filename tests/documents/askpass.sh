#!/bin/sh
# What a user of the pages answers to ssh.
case $1 in
    *yes/no*) echo yes ;;
    *passphrase*) echo ;;
    *@*"'s password:"*) echo "secret of ${1%%@*}" ;;
    *) exit 1 ;;
esac
