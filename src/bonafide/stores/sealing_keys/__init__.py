"""Keys that seal other keys at rest (`ports.SealingKey`): in a private file, or in a token behind PKCS#11.

Their implementations are modules of their own, because a host without a token needs no PKCS#11:
`sealing_keys.key_file.FileSealingKey`, `sealing_keys.pkcs11_token.Pkcs11SealingKey`.
"""
