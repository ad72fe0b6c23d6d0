"""Runs inside the process that send_script.py names, with a call appended to this text. In a
program without the package, or with an old one, loads only the library. Leaves no name behind."""


def _corewise_open_socket(library):
    try:
        import corewise

        corewise.control_start()
    except (ImportError, AttributeError):
        import ctypes

        ctypes.CDLL(library).cw_control_start()
