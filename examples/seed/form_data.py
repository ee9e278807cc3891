"""FormData & File Uploads: text fields and files in one multipart/form-data request.

The page's host is an example's; put your own in its place.
"""

import asyncio
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from atomhttp import AtomHTTP


async def main():
    client = AtomHTTP()

    form = AtomHTTP.FormData()
    form.append('username', 'johndoe')
    form.append('email', 'john@example.com')
    form.append('avatar', open('profile.jpg', 'rb'), filename='profile.jpg')
    form.append('document', open('resume.pdf', 'rb'), filename='resume.pdf')

    # Supports multiple values for the same field
    form.append('tags', 'python')
    form.append('tags', 'http')
    form.append('tags', 'async')

    response = await client.post('https://api.example.com/upload', data=form)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, chdir(folder):
        Path('profile.jpg').write_bytes(b'\xff\xd8\xff\xe0 a picture \xff\xd9')
        Path('resume.pdf').write_bytes(b'%PDF-1.7\n%%EOF\n')
        asyncio.run(main())
