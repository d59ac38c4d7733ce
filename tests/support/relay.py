"""Relay connections to an engine's socket: over TLS, over standard input and output, or with a fault.

    relay.py ENGINE [--stdio | --unix SOCKET | --tls FOLDER [--anyone]] [--cut TEXT] [--answer TEXT FILE] [--record FILE]

Prints its address when it listens. With --cut, a connection whose request contains TEXT is cut when the engine begins to
respond, and the relay exits. With --answer, such a request gets the bytes of FILE as its response.
"""

import argparse
import os
import socket
import ssl
import sys
import threading


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--unix")
    parser.add_argument("--tls")
    parser.add_argument("--anyone", action="store_true", help="accept clients without a certificate")
    parser.add_argument("--cut")
    parser.add_argument("--answer", nargs=2)
    parser.add_argument("--record")
    return parser.parse_args()


def engine(path):
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(path)
    return upstream


def stdio(path):
    upstream = engine(path)

    def send():
        while data := os.read(0, 65536):
            upstream.sendall(data)
        upstream.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, daemon=True).start()
    while data := upstream.recv(65536):
        os.write(1, data)


def serve(options, client):
    upstream = engine(options.engine)
    cut = threading.Event()

    def send():
        try:
            while data := client.recv(65536):
                if options.record:
                    with open(options.record, "ab") as record:
                        record.write(data)
                if options.cut and options.cut.encode() in data:
                    cut.set()
                if options.answer and options.answer[0].encode() in data:
                    with open(options.answer[1], "rb") as answer:
                        client.sendall(answer.read())
                    client.shutdown(socket.SHUT_RDWR)
                    return
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    threading.Thread(target=send, daemon=True).start()
    try:
        while data := upstream.recv(65536):
            client.sendall(data)
            if cut.is_set():
                os._exit(0)
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        client.close()
        upstream.close()


def main():
    options = arguments()
    if options.stdio:
        return stdio(options.engine)
    if options.unix:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(options.unix)
        address = f"unix://{options.unix}"
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.listen()
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{options.tls}/ca.pem")
        context.verify_mode = ssl.CERT_NONE if options.anyone else ssl.CERT_REQUIRED
        context.load_cert_chain(f"{options.tls}/server.pem", f"{options.tls}/server-key.pem")
    print(address, flush=True)
    while True:
        client, _ = listener.accept()

        def connection(client=client):
            try:
                secure = context.wrap_socket(client, server_side=True) if context else client
            except OSError:
                return
            serve(options, secure)

        threading.Thread(target=connection, daemon=True).start()


sys.exit(main())
