"""Downloads: `remote_file` reads a file on a server and asks again where a connection was cut.

On it stand `resumable_file` (a download that goes on where it stopped), `remote_zip` (single
members of a zip file) and `remote_tar` (files out of a .tar.gz). `tfrecords` reads TFRecord files.
`manifests` list what was fetched, with checksums; `disk` writes files whole or not at all.
"""
