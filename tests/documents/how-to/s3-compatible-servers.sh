lazydata remove-remote origin
serve_s3 my-bucket
serve_tls s3.example.org
export AWS_CA_BUNDLE=/etc/ssl/certs/my-authority.pem
unset AWS_ENDPOINT_URL
### lazydata config set remotes.origin.profile my-server
mkdir ~/.aws
cat >~/.aws/credentials <<END
[my-server]
aws_access_key_id = $AWS_ACCESS_KEY_ID
aws_secret_access_key = $AWS_SECRET_ACCESS_KEY
END
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
### export AWS_CA_BUNDLE=/etc/ssl/certs/my-authority.pem
unset AWS_CA_BUNDLE
must_fail lazydata push --check
### end
lazydata push --check
