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
        let authority = text.authority.lowercased()
        var host = authority[...]
        var port: Int?
        // An address of IPv6 stands in brackets; what follows the last colon outside them is the port.
        if let colon = authority.utf8.lastIndex(of: UInt8(ascii: ":")),
            !authority.utf8[colon...].contains(UInt8(ascii: "]"))
        {
            host = authority[..<colon]
            let digits = authority[authority.index(after: colon)...]
            guard digits.isEmpty || digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw BonafideError.requestNotSignable("the port")
            }
            port = Int(digits)
        }
        guard !host.isEmpty, host.utf8.allSatisfy(Self.isHost) else {
            throw BonafideError.requestNotSignable("the host, or a user or a password before it")
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
        // By octets: characters are looked for in whole, with what combines with them, which costs ten times as much.
        let text = url.absoluteString
        let octets = text.utf8
        guard let colon = octets.firstIndex(of: UInt8(ascii: ":")), octets[colon...].starts(with: "://".utf8) else {
            throw Self.notAbsolute
        }
        scheme = text[..<colon].lowercased()
        guard scheme == "https" || scheme == "http" else { throw Self.notAbsolute }
        let hierarchy = octets[octets.index(colon, offsetBy: 3)...].prefix { $0 != UInt8(ascii: "#") }
        let authority = hierarchy.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        let rest = hierarchy[authority.endIndex...]
        let path = rest.prefix { $0 != UInt8(ascii: "?") }
        self.authority = Substring(authority)
        self.path = Substring(path)
        query = path.endIndex < rest.endIndex ? Substring(rest[path.endIndex...].dropFirst()) : nil
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
        if url.absoluteString == spelt {
            self.url = url
        } else if let canonical = URL(string: spelt), canonical.absoluteString == spelt {
            self.url = canonical
        } else {
            throw BonafideError.targetNotCanonical(target.path)
        }
    }
}
