"""Write Terraform code of any size: folders of files, each with a key and common resources."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILES_A_FOLDER: Final = 20
ONE_DISABLED_IN: Final = 10

_FILE: Final = """\
resource "aws_kms_key" "key_{n}" {{
  description             = "service {n}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  is_enabled              = {enabled}
}}

resource "aws_kms_alias" "key_{n}" {{
  name          = "alias/service-{n}"
  target_key_id = aws_kms_key.key_{n}.key_id
}}

resource "aws_s3_bucket" "bucket_{n}" {{
  bucket = "service-{n}"
}}

resource "aws_s3_bucket_server_side_encryption_configuration" "bucket_{n}" {{
  bucket = aws_s3_bucket.bucket_{n}.id
  rule {{
    apply_server_side_encryption_by_default {{
      kms_master_key_id = aws_kms_key.key_{n}.arn
      sse_algorithm     = "aws:kms"
    }}
  }}
}}
"""


def write(folder: Path, files: int) -> int:
    """Write this many files below a folder. Returns the number of keys declared disabled."""
    disabled = 0
    for n in range(files):
        root = folder / f"team-{n // FILES_A_FOLDER:03}"
        root.mkdir(exist_ok=True)
        off = n % ONE_DISABLED_IN == 0
        disabled += off
        text = _FILE.format(n=n, enabled="false" if off else "true")
        (root / f"service_{n}.tf").write_text(text, encoding="utf-8")
    return disabled
