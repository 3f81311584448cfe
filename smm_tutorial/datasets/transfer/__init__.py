"""Downloads: `remote_file` reads a file on a server and reconnects after a connection broke.

Three modules build on it: `resumable_file` (a download that continues where it stopped),
`remote_zip` (single members of a zip file) and `remote_tar` (files of a .tar.gz). `tfrecords` reads
TFRecord files. `manifests` list the downloaded files with checksums. `disk` writes files completely
or not at all.
"""
