"""Asks a notebook's kernel to open its control socket. Argument: the kernel's connection file.

Exits with one of the codes of way_in.cpp. The request leaves no trace in the notebook's history."""

import sys

try:
    from jupyter_client import BlockingKernelClient
except ImportError:
    sys.exit(11)
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
request = {
    "code": "import corewise; corewise.control_start()",
    "silent": True,
    "store_history": False,
    "user_expressions": {},
    "allow_stdin": False,
    "stop_on_error": False,
}
client.control_channel.send(client.session.msg("execute_request", request))
try:
    content = client.get_control_msg(timeout=10)["content"]
except Exception:
    sys.exit(12)
if content["status"] != "ok":
    sys.exit(13 if content.get("ename") == "ModuleNotFoundError" else 14)
