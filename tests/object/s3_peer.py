#!/usr/bin/env python3
"""A small S3 for tests: objects in memory or a folder, path-style addresses, and every signature recomputed from AWS's description (Signature
Version 4) - written apart from our signer, so that both must be right to agree.

usage: s3_peer.py [--dir FOLDER] [--port N]      prints "port N"; keys: AKIDTEST / SecretOfTheTest, region test-1

Faults on demand, one request each, by PUT /_fault?kind=<kind>&count=<n> (not signed): 500, 503, drop (connection closed before the answer), slow, denied.
GET /_count gives the number of requests so far.
"""
import argparse, hashlib, hmac, http.server, os, socketserver, sys, threading, time, urllib.parse
from email.utils import formatdate
from xml.sax.saxutils import escape

KEYS = {'AKIDTEST': 'SecretOfTheTest', 'AKIDSYSTEM': 'Another/Secret+Of=Tests'}
REGION = 'test-1'
SKEW_S = 900
EMPTY = hashlib.sha256(b'').hexdigest()


class Store:
    """bucket -> key -> (bytes, time); written through to a folder when there is one."""

    def __init__(self, folder):
        self.folder, self.lock, self.buckets, self.uploads = folder, threading.Lock(), {}, {}
        self.faults, self.count, self.serial = [], 0, 0
        for bucket in sorted(os.listdir(folder)) if folder and os.path.isdir(folder) else []:
            for root, _, names in os.walk(os.path.join(folder, bucket)):
                for name in names:
                    path = os.path.join(root, name)
                    key = os.path.relpath(path, os.path.join(folder, bucket))
                    self.buckets.setdefault(bucket, {})[key] = (open(path, 'rb').read(), os.path.getmtime(path))

    def put(self, bucket, key, body):
        self.buckets[bucket][key] = (body, time.time())
        if self.folder:
            path = os.path.join(self.folder, bucket, key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path + '.part', 'wb').write(body)
            os.replace(path + '.part', path)


def quote(text, keep=''):
    return urllib.parse.quote(text, safe='-_.~' + keep)


def sign(secret, date, region, text):
    key = b'AWS4' + secret.encode()
    for part in (date, region, 's3', 'aws4_request'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body=b'', headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(n == 'Content-Length' for n, _ in headers):
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def error(self, status, code, message):
        self.answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'.encode(),
                    [('Content-Type', 'application/xml')])

    # ---- who asks ----
    def canonical(self, path, query, names, payload):
        pairs = sorted((quote(k), quote(v)) for k, v in query)
        headers = ''.join(f'{n}:{" ".join(self.headers.get(n, "").split())}\n' for n in names)
        return '\n'.join([self.command, quote(path, '/'), '&'.join(f'{k}={v}' for k, v in pairs), headers, ';'.join(names), payload])

    def text_to_sign(self, when, scope, canonical):
        return '\n'.join(['AWS4-HMAC-SHA256', when, scope, hashlib.sha256(canonical.encode()).hexdigest()])

    def check(self, path, query, body):
        """None, or (status, code, message)."""
        signed = dict(query)
        if 'X-Amz-Signature' in signed:
            credential, when, names, given = signed['X-Amz-Credential'], signed['X-Amz-Date'], signed['X-Amz-SignedHeaders'].split(';'), signed['X-Amz-Signature']
            rest, payload, valid_s = [(k, v) for k, v in query if k != 'X-Amz-Signature'], 'UNSIGNED-PAYLOAD', int(signed['X-Amz-Expires'])
        else:
            text = self.headers.get('authorization', '')
            if not text.startswith('AWS4-HMAC-SHA256 '):
                return 403, 'AccessDenied', 'no signature'
            fields = dict(f.strip().split('=', 1) for f in text[17:].split(','))
            credential, names, given = fields['Credential'], fields['SignedHeaders'].split(';'), fields['Signature']
            when, payload, rest, valid_s = self.headers.get('x-amz-date', ''), self.headers.get('x-amz-content-sha256', ''), query, SKEW_S
            if payload != 'UNSIGNED-PAYLOAD' and payload != hashlib.sha256(body).hexdigest():
                return 400, 'XAmzContentSHA256Mismatch', 'the body is not what was signed'
            if 'x-amz-date' not in names or 'x-amz-content-sha256' not in names:
                return 403, 'AccessDenied', 'x-amz-date and x-amz-content-sha256 must be signed'
        if 'host' not in names or names != sorted(names):
            return 403, 'AccessDenied', 'host must be signed, names sorted'
        key, date, region, service, end = credential.split('/')
        if key not in KEYS:
            return 403, 'InvalidAccessKeyId', 'no such key'
        if region != REGION or service != 's3' or end != 'aws4_request' or not when.startswith(date):
            return 400, 'AuthorizationHeaderMalformed', f'expected region {REGION} and service s3'
        age = time.time() - time.mktime(time.strptime(when, '%Y%m%dT%H%M%SZ')) + time.timezone
        if age > valid_s or age < -SKEW_S:
            return 403, 'RequestTimeTooSkewed', 'the clock of the client is wrong'
        text = self.text_to_sign(when, f'{date}/{region}/s3/aws4_request', self.canonical(path, rest, names, payload))
        if not hmac.compare_digest(sign(KEYS[key], date, region, text), given):
            return 403, 'SignatureDoesNotMatch', 'the signature is another one'
        return None

    # ---- requests ----
    def handle_any(self):
        length = int(self.headers.get('content-length') or 0)
        body = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        query = urllib.parse.parse_qsl(url.query, keep_blank_values=True, strict_parsing=False)
        store = self.server.store
        if path == '/_fault':
            q = dict(query)
            store.faults = [q['kind']] * int(q['count'])
            return self.answer(200)
        if path == '/_count':
            return self.answer(200, str(store.count).encode())
        with store.lock:
            store.count += 1
            fault = store.faults.pop(0) if store.faults else None
        if fault in ('drop', 'slow'):
            time.sleep(3 if fault == 'slow' else 0)
            self.close_connection = True
            return None
        if fault in ('500', '503'):
            return self.error(int(fault), 'InternalError' if fault == '500' else 'SlowDown', 'come again')
        refusal = (403, 'AccessDenied', 'as asked') if fault == 'denied' else self.check(path, query, body)
        if refusal:
            return self.error(*refusal)
        bucket, _, key = path[1:].partition('/')
        with store.lock:
            return self.serve(store, bucket, key, dict(query), body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def serve(self, store, bucket, key, query, body):
        if bucket not in store.buckets:
            if self.command != 'PUT' or bucket.startswith('missing'):
                return self.error(404, 'NoSuchBucket', 'no such bucket')
            store.buckets[bucket] = {}
        objects = store.buckets[bucket]
        if not key:
            return self.list(objects, bucket, query) if self.command == 'GET' else self.answer(200)
        if 'uploads' in query or 'uploadId' in query:
            return self.multipart(store, bucket, key, query, body)
        if self.command == 'PUT':
            if self.headers.get('if-none-match') == '*' and key in objects:
                return self.error(412, 'PreconditionFailed', 'it is there')
            store.put(bucket, key, body)
            return self.answer(200, b'', [('ETag', f'"{hashlib.md5(body).hexdigest()}"')])
        if self.command == 'DELETE':
            objects.pop(key, None)
            return self.answer(204)
        if key not in objects:
            return self.error(404, 'NoSuchKey', 'no such key')
        return self.give(*objects[key])

    def give(self, body, changed):
        headers = [('Last-Modified', formatdate(changed, usegmt=True)), ('ETag', f'"{hashlib.md5(body).hexdigest()}"')]
        wanted = self.headers.get('range')
        if self.command == 'HEAD':
            return self.answer(200, b'', headers + [('Content-Length', str(len(body)))])
        if not wanted:
            return self.answer(200, body, headers)
        first, _, last = wanted[6:].partition('-')
        first, last = int(first), min(int(last) if last else len(body) - 1, len(body) - 1)
        if first >= len(body):
            return self.error(416, 'InvalidRange', 'behind the end')
        return self.answer(206, body[first:last + 1], headers)

    def list(self, objects, bucket, query):
        after = query.get('continuation-token', query.get('start-after', ''))
        most = min(int(query.get('max-keys', '1000')), self.server.page)
        keys = sorted((k for k in objects if k.startswith(query.get('prefix', '')) and k.encode() > after.encode()), key=str.encode)
        page, more = keys[:most], len(keys) > most
        out = ['<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">', f'<Name>{bucket}</Name>',
               f'<IsTruncated>{"true" if more else "false"}</IsTruncated>']
        for key in page:
            body, changed = objects[key]
            stamp = time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(changed))
            out.append(f'<Contents><Key>{escape(key)}</Key><LastModified>{stamp}</LastModified><Size>{len(body)}</Size></Contents>')
        if more:
            out.append(f'<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>')
        self.answer(200, ''.join(out + ['</ListBucketResult>']).encode(), [('Content-Type', 'application/xml')])

    def multipart(self, store, bucket, key, query, body):
        if self.command == 'POST' and 'uploads' in query:
            store.serial += 1
            upload = f'upload-{store.serial}+/='
            store.uploads[upload] = {}
            return self.answer(200, f'<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>'.encode())
        parts = store.uploads.get(query['uploadId'])
        if parts is None:
            return self.error(404, 'NoSuchUpload', 'no such upload')
        if self.command == 'PUT':
            parts[int(query['partNumber'])] = body
            return self.answer(200, b'', [('ETag', f'"{hashlib.md5(body).hexdigest()}"')])
        if self.command == 'DELETE':
            del store.uploads[query['uploadId']]
            return self.answer(204)
        numbers = sorted(parts)
        if any(len(parts[n]) < 5 << 20 for n in numbers[:-1]):
            return self.error(400, 'EntityTooSmall', 'parts are at least 5 MiB, but for the last')
        for n in numbers:
            if f'<PartNumber>{n}</PartNumber><ETag>"{hashlib.md5(parts[n]).hexdigest()}"</ETag>' not in body.decode():
                return self.error(400, 'InvalidPart', f'part {n} is another one')
        store.put(bucket, key, b''.join(parts[n] for n in numbers))
        del store.uploads[query['uploadId']]
        return self.answer(200, b'<CompleteMultipartUploadResult></CompleteMultipartUploadResult>')


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--dir')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--page', type=int, default=1000)
    options = parser.parse_args()
    server = Server(('127.0.0.1', options.port), Handler)
    server.store, server.page = Store(options.dir), options.page
    print('port', server.server_address[1], flush=True)
    if sys.stdin.isatty() or options.port:
        server.serve_forever()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # whoever started it has gone


if __name__ == '__main__':
    main()
