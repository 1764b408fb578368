"""A real server of moto in this process, which answers as Amazon's S3, Kinesis, SNS and SQS do."""

import logging
import os
from contextlib import contextmanager
from unittest import mock

KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def moto_server(port=0):
    """Give its address; programs that use boto3 are led there while it runs."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    address = "{}:{}".format(*server.get_host_and_port())
    with mock.patch.dict(os.environ, KEYS | {"AWS_ENDPOINT_URL": f"http://{address}"}):
        yield address
    server.stop()
