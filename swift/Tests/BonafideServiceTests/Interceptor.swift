import Bonafide
import BonafideCore
import Foundation
import Testing

/// The attacker's mitmproxy between the phones and the service, which passes everything on and does what it is told.
struct Interceptor: Sendable {
    /// One answer as it passed.
    struct Passed: Sendable {
        let path: String
        let status: Int
        /// Names in lower case.
        let headers: JSON
        let body: [UInt8]
        /// The request's fields and body, as text.
        let request: String

        /// The answer's fields, as text.
        var fields: String { String(decoding: headers.octets, as: UTF8.self) }

        /// An order to answer with this one instead.
        func again(_ order: String = "put_in") -> JSON {
            let fields = ["content-type", "cache-control"].map {
                JSON.Member($0, .string(headers[$0]?.text ?? ""))
            }
            return [
                "do": .string(order), "path": .string(path), "status": .integer(status), "headers": .object(fields),
                "body": .string(Data(body).base64EncodedString()),
            ]
        }
    }

    let service: RunningService

    /// An order to answer `path` with these octets in clear.
    static func clear(_ path: String, _ body: String, status: Int, action: String? = nil) -> JSON {
        var fields: [JSON.Member] = [.init("content-type", "application/json")]
        if let action { fields.append(.init("bonafide-action", .string(action))) }
        return [
            "do": "put_in", "path": .string(path), "status": .integer(status), "headers": .object(fields),
            "body": .string(Data(body.utf8).base64EncodedString()),
        ]
    }

    /// Runs `body` while the proxy does `order`; before and afterwards it only watches.
    func doing<Value>(_ order: JSON, _ body: () async throws -> Value) async throws -> Value {
        try service.tell("order", [.init("order", order)])
        let result: Result<Value, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        try service.tell("order", [.init("order", ["do": "watch"])])
        return try result.get()
    }

    /// What passed since the last call.
    func passed() throws -> [Passed] {
        try (service.tell("seen")["seen"]?.elements ?? []).map { seen in
            let body = try #require(seen["body"]?.text.flatMap { Data(base64Encoded: $0) })
            return Passed(
                path: try #require(seen["path"]?.text), status: try #require(seen["status"]?.integer),
                headers: try #require(seen["headers"]), body: [UInt8](body),
                request: try #require(seen["request"]?.text))
        }
    }

    /// What passed last as the answer to `path`, while `body` ran.
    func recorded(_ path: String, _ body: () async throws -> Void) async throws -> Passed {
        _ = try passed()
        try await body()
        return try #require(try passed().last { $0.path == path })
    }
}
