import BonafideCore
import Foundation

/// Scheme, host and port of a URL in the one spelling that a proof covers.
struct Origin: Hashable, Sendable {
    /// `https` or `http`.
    let scheme: String
    /// The host in lower case, with its port unless that is the scheme's own.
    let authority: String

    /// Takes the origin of an absolute URL. Throws `BonafideError.requestNotSignable`.
    init(of url: URL) throws { try self.init(of: URLText(url)) }

    init(of text: URLText) throws {
        guard !text.authority.contains("@") else {
            throw BonafideError.requestNotSignable("the URL carries a user or a password")
        }
        let authority = text.authority.lowercased()
        var host = authority[...]
        var port: Int?
        // An address of IPv6 stands in brackets; what follows the last colon outside them is the port.
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            host = authority[..<colon]
            let digits = authority[authority.index(after: colon)...]
            guard digits.isEmpty || digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw BonafideError.requestNotSignable("the port")
            }
            port = Int(digits)
        }
        guard !host.isEmpty, host.utf8.allSatisfy(Self.isHost) else {
            throw BonafideError.requestNotSignable("the host")
        }
        let standard = text.scheme == "https" ? 443 : 80
        scheme = text.scheme
        self.authority = port.flatMap { $0 == standard ? nil : "\(host):\($0)" } ?? String(host)
    }

    private static func isHost(_ octet: UInt8) -> Bool {
        (0x30...0x3A).contains(octet) || (0x61...0x7A).contains(octet) || "-.[]".utf8.contains(octet)
    }
}

/// The parts of an absolute URL as they stand in its text (RFC 3986, appendix B).
///
/// `URLComponents` shows a host differently from one version of the system to the next: encoded, decoded, or as
/// punycode. What goes out is the text; names that are not ASCII are in it as `URL` has encoded them, or refused.
struct URLText {
    /// `https` or `http`.
    let scheme: String
    let authority: Substring
    let path: Substring
    let query: Substring?

    /// Throws `BonafideError.requestNotSignable`.
    init(_ url: URL) throws {
        let text = url.absoluteString
        guard let mark = text.range(of: "://") else { throw Self.notAbsolute }
        scheme = text[..<mark.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { throw Self.notAbsolute }
        let hierarchy = text[mark.upperBound...].prefix { $0 != "#" }
        authority = hierarchy.prefix { $0 != "/" && $0 != "?" }
        let rest = hierarchy[authority.endIndex...]
        path = rest.prefix { $0 != "?" }
        query = path.endIndex < rest.endIndex ? rest[path.endIndex...].dropFirst() : nil
        guard !authority.isEmpty else { throw Self.notAbsolute }
    }

    private static let notAbsolute = BonafideError.requestNotSignable("the URL is no absolute one of http or https")
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
        let text = try URLText(url)
        origin = try Origin(of: text)
        target = try Target(percentEncodedPath: String(text.path), query: text.query.map(String.init))
        let spelt = "\(origin.scheme)://\(origin.authority)\(target.text)"
        guard let canonical = URL(string: spelt), canonical.absoluteString == spelt else {
            throw BonafideError.targetNotCanonical(target.text)
        }
        self.url = canonical
    }
}
