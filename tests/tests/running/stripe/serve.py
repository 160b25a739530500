# localstripe on loopback only, and without its file of a fixed name: runs do not meet.
import sys

from aiohttp import web
from localstripe import resources
from localstripe.server import app

resources.store.dump_to_disk = lambda: None
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
