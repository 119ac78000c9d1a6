/// Content-Digest with one `sha-256` member (RFC 9530 section 2), as it stands in the field.
public struct ContentDigest: Hashable, Sendable {
    /// The field's value.
    public let field: String

    /// The digest of a body that is at hand; of zero octets where there is none.
    public init(of body: [UInt8], crypto: some Crypto) {
        self.init(digest: crypto.sha256(body))
    }

    /// The digest of a body that is read in pieces, until `next` returns nil. Memory stays that of one piece.
    public init(crypto: some Crypto, reading next: () throws -> [UInt8]?) rethrows {
        var state = crypto.makeSHA256()
        while let piece = try next() { state.update(piece) }
        self.init(digest: state.digest())
    }

    init(digest: [UInt8]) { field = "sha-256=:\(Base64.encoded(digest)):" }
}
