-- $1 now, less the leeway that token checks allow
DELETE FROM revoked_tokens WHERE expires_at < $1
