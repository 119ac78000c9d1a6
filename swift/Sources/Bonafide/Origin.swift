import BonafideCore
import Foundation

/// Scheme, host and port of a URL in the one spelling that a proof covers.
struct Origin: Hashable, Sendable {
    /// `https` or `http`.
    let scheme: String
    /// The host in lower case, with its port unless that is the scheme's own.
    let authority: String

    /// Takes the origin of an absolute URL. Throws `BonafideError.requestNotSignable`.
    ///
    /// A host that is not ASCII is taken as `URL` has encoded it, or refused: two encoders may disagree.
    init(of url: URL) throws {
        guard let parts = URLComponents(url: url, resolvingAgainstBaseURL: true) else {
            throw BonafideError.requestNotSignable("the URL")
        }
        try self.init(of: parts)
    }

    init(of parts: URLComponents) throws {
        let scheme = parts.scheme?.lowercased() ?? ""
        guard scheme == "https" || scheme == "http", var host = parts.percentEncodedHost?.lowercased(), !host.isEmpty
        else { throw BonafideError.requestNotSignable("the URL is not an absolute one of http or https") }
        guard parts.user == nil, parts.password == nil else {
            throw BonafideError.requestNotSignable("the URL carries a user or a password")
        }
        if host.contains(":"), !host.hasPrefix("[") { host = "[\(host)]" }
        guard host.utf8.allSatisfy(Self.isHost) else { throw BonafideError.requestNotSignable("the host \(host)") }
        let standard = scheme == "https" ? 443 : 80
        self.scheme = scheme
        authority = parts.port.flatMap { $0 == standard ? nil : "\(host):\($0)" } ?? host
    }

    private static func isHost(_ octet: UInt8) -> Bool {
        (0x30...0x3A).contains(octet) || (0x61...0x7A).contains(octet) || "-.[]".utf8.contains(octet)
    }
}

/// A URL in the one spelling that a proof covers and that goes out.
struct CanonicalURL {
    let url: URL
    let origin: Origin
    let target: Target

    /// Spells a URL canonically: encoded as little as may be, without fragment, default port and bare `?`.
    ///
    /// Proves that `url` reads back as it was written, so that what is sent is what is signed. Throws
    /// `BonafideError.requestNotSignable` and `.targetNotCanonical`.
    init(_ url: URL) throws {
        guard let parts = URLComponents(url: url, resolvingAgainstBaseURL: true) else {
            throw BonafideError.requestNotSignable("the URL")
        }
        origin = try Origin(of: parts)
        target = try Target(percentEncodedPath: parts.percentEncodedPath, query: parts.percentEncodedQuery)
        let text = "\(origin.scheme)://\(origin.authority)\(target.text)"
        guard let canonical = URL(string: text), canonical.absoluteString == text else {
            throw BonafideError.targetNotCanonical(target.text)
        }
        self.url = canonical
    }
}
