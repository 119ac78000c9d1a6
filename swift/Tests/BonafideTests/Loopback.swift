import Foundation

@testable import Bonafide
@testable import BonafideCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

/// One request as it came over the wire.
struct WireRequest: Sendable {
    let line: String
    /// Names in lower case; what stands twice is there twice.
    let headers: [(name: String, value: String)]
    let body: [UInt8]

    func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
}

/// An HTTP server on 127.0.0.1 that writes down what comes, and answers each connection once by a closure.
final class Loopback: Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let seen = Guarded<[WireRequest]>([])

    var requests: [WireRequest] { seen.withLock { $0 } }

    func url(_ target: String) -> URL { link("http://127.0.0.1:\(port)\(target)") }

    /// `answer` returns a whole answer, or nil to say nothing and keep the connection open.
    convenience init(octetsPerSecond: Int? = nil, answer: @escaping @Sendable (WireRequest) -> String?) {
        self.init(octetsPerSecond: octetsPerSecond, octets: { request in answer(request).map { Array($0.utf8) } })
    }

    init(octetsPerSecond: Int?, octets: @escaping @Sendable (WireRequest) -> [UInt8]?) {
        #if canImport(Glibc)
            let stream = Int32(SOCK_STREAM.rawValue)
        #else
            let stream = SOCK_STREAM
        #endif
        descriptor = socket(AF_INET, stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0)
                precondition(getsockname(descriptor, $0, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        let seen = seen
        Thread.detachNewThread {
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                Thread.detachNewThread { Self.serve(connection, seen, octetsPerSecond, octets) }
            }
        }
    }

    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    private static func serve(
        _ connection: Int32, _ seen: Guarded<[WireRequest]>, _ octetsPerSecond: Int?,
        _ answer: (WireRequest) -> [UInt8]?
    ) {
        guard let request = read(from: connection) else { return }
        seen.withLock { $0.append(request) }
        guard let whole = answer(request) else { return }
        var octets = whole[...]
        while !octets.isEmpty {
            let piece = octetsPerSecond.map { octets.prefix(max($0 / 10, 1)) } ?? octets
            let count = piece.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { break }
            if octetsPerSecond != nil { usleep(100_000) }
            octets = octets.dropFirst(count)
        }
        close(connection)
    }

    private static func read(from connection: Int32) -> WireRequest? {
        var octets: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        var head: Int?
        while head == nil {
            guard let more = receive(connection) else { return nil }
            octets += more
            head = octets.indices.first { octets[$0...].starts(with: end) }
        }
        guard let headEnd = head else { return nil }
        let lines = String(decoding: octets[..<headEnd], as: UTF8.self).components(separatedBy: "\r\n")
        let headers = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (
                name: parts[0].lowercased(), value: parts.dropFirst().joined().trimmingCharacters(in: .whitespaces)
            )
        }
        let length = headers.first { $0.name == "content-length" }.flatMap { Int($0.value) } ?? 0
        var body = Array(octets[(headEnd + 4)...])
        if headers.contains(where: { $0.name == "expect" }) {
            let proceed = "HTTP/1.1 100 Continue\r\n\r\n"
            _ = proceed.withCString { send(connection, $0, proceed.utf8.count, Int32(MSG_NOSIGNAL)) }
        }
        while body.count < length {
            guard let more = receive(connection) else { return nil }
            body += more
        }
        return WireRequest(line: lines[0], headers: headers, body: body)
    }

    private static func receive(_ connection: Int32) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(connection, &piece, piece.count, 0)
        return count > 0 ? Array(piece.prefix(count)) : nil
    }
}

/// A whole answer that ends its connection.
func answer(_ status: String, _ headers: [String] = [], body: String = "") -> String {
    let lines = ["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)", "Connection: close"] + headers
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
}

/// A URL that a test writes down.
func link(_ text: String) -> URL {
    guard let url = URL(string: text) else { preconditionFailure("\(text) is no URL") }
    return url
}
