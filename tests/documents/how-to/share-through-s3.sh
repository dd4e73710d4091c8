lazydata remove-remote origin
serve_s3
### lazydata config set remotes.origin.profile work
mkdir ~/.aws
cat >~/.aws/credentials <<END
[work]
aws_access_key_id = $AWS_ACCESS_KEY_ID
aws_secret_access_key = $AWS_SECRET_ACCESS_KEY
END
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
must_fail lazydata push --check
### end
lazydata push --check
