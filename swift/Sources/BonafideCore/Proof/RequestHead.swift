/// What a proof covers of a request, beside the client attestation (PROTOCOL section 4).
public struct RequestHead: Sendable {
    /// Upper case, 1 to 16 letters.
    public let method: String
    /// `https` or `http`.
    public let scheme: String
    /// The host in lower case, with its port unless that is the scheme's own.
    public let authority: String
    public let target: Target
    public let authorization: String?
    public let cookie: String?
    public let contentType: String?
    public let contentDigest: ContentDigest

    /// Throws `BonafideError.requestNotSignable` for a method, an origin or a field value that no proof covers: empty,
    /// not visible ASCII, surrounded by spaces, larger than 8 KiB, or, of Authorization and Content-Type, with a
    /// comma.
    public init(
        method: String, scheme: String, authority: String, target: Target, authorization: String? = nil,
        cookie: String? = nil, contentType: String? = nil, contentDigest: ContentDigest
    ) throws {
        guard (1...16).contains(method.utf8.count), method.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) else {
            throw BonafideError.requestNotSignable("the method \(method)")
        }
        guard scheme == "https" || scheme == "http", !authority.isEmpty, authority.utf8.allSatisfy(Self.isAuthority)
        else { throw BonafideError.requestNotSignable("the origin") }
        for (name, value) in [("Authorization", authorization), ("Cookie", cookie), ("Content-Type", contentType)] {
            guard let value else { continue }
            guard Self.isCovered(value), name == "Cookie" || !value.utf8.contains(UInt8(ascii: ",")) else {
                throw BonafideError.requestNotSignable("the value of \(name)")
            }
        }
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.target = target
        self.authorization = authorization
        self.cookie = cookie
        self.contentType = contentType
        self.contentDigest = contentDigest
    }

    /// Whether repeating the request is harmless by its method alone (RFC 9110 section 9.2.1).
    public var isSafe: Bool { ["GET", "HEAD", "OPTIONS"].contains(method) }

    static func isAuthority(_ octet: UInt8) -> Bool {
        (0x30...0x3A).contains(octet) || (0x61...0x7A).contains(octet) || "-.[]".utf8.contains(octet)
    }

    /// One line of visible ASCII with inner spaces: a line feed could imitate the next component's line.
    private static func isCovered(_ value: String) -> Bool {
        let octets = value.utf8
        return !octets.isEmpty && octets.count <= 8 * 1024 && octets.allSatisfy { (0x20...0x7E).contains($0) }
            && octets.first != 0x20 && octets.last != 0x20
    }
}

extension RequestHead: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Method, origin and path: the rest names users, or lets somebody act as them.
    public var description: String { "\(method) \(scheme)://\(authority)\(target.path)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["request": description]) }
}
