/// Why a token of the service, signed or sealed, was not taken, whatever kind it is. Each kind has its own codes with
/// these endings.
package enum TokenRefused: String, Error {
    case malformed
    case headerRefused = "header_refused"
    case decryptionFailed = "decryption_failed"
    case serviceKeyNotPinned = "service_key_not_pinned"
    case signatureInvalid = "signature_invalid"
}
