/// Where the service's endpoints are, taken apart.
struct ServiceAddress: Sendable {
    let scheme: String
    let authority: String
    /// The path of the prefix, without a final slash.
    let prefix: String

    /// Takes `https://host[:port]/path`, or `http` for tests; nil for anything else.
    init?(_ url: String) {
        guard let colon = url.firstIndex(of: ":"), url[colon...].hasPrefix("://") else { return nil }
        let scheme = url[..<colon].lowercased()
        let rest = url[url.index(colon, offsetBy: 3)...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        guard scheme == "https" || scheme == "http" else { return nil }
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        if !path.isEmpty {
            guard let target = Target(canonical: String(path)), target.query == nil else { return nil }
        }
        self.scheme = scheme
        authority = Self.normalised(String(rest[..<slash]), scheme: scheme)
        prefix = String(path)
        guard !authority.isEmpty, authority.utf8.allSatisfy(RequestHead.isAuthority) else { return nil }
    }

    /// The host in lower case, without the port that is the scheme's own.
    static func normalised(_ authority: String, scheme: String) -> String {
        let lower = authority.lowercased()
        let port = scheme == "https" ? ":443" : ":80"
        return lower.hasSuffix(port) ? String(lower.dropLast(port.count)) : lower
    }
}
