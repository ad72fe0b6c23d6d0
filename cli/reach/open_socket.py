"""Run inside the process that send_script.py names; a call is added to this text. A program that
lacks the package, or has an old one, gets the library alone. Leaves no name behind."""


def _corewise_open_socket(library):
    try:
        import corewise

        corewise.control_start()
    except (ImportError, AttributeError):
        import ctypes

        ctypes.CDLL(library).cw_control_start()
