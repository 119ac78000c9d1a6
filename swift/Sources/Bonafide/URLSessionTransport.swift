public import BonafideCore

#if canImport(FoundationNetworking)
    import Foundation
    public import FoundationNetworking
#else
    public import Foundation
#endif

/// Carries messages to Bonafide's service: no redirect, no cookie, no cache, half a minute at most, and no
/// longer answer than the message admits.
public struct URLSessionTransport: Transport {
    private let courier: URLCourier
    private let seconds: Double

    init(courier: URLCourier, within seconds: Double = 30) {
        self.courier = courier
        self.seconds = seconds
    }

    /// Sends through a session of its own, without pins.
    public init(configuration: URLSessionConfiguration = .ephemeral) {
        self.init(courier: URLCourier(configuration: configuration, pins: PinBoard(nil, clock: SystemClock())))
    }

    public func send(_ message: ServiceMessage) async throws -> ServiceAnswer {
        guard let url = URL(string: message.url), url.absoluteString == message.url else {
            throw BonafideError.targetNotCanonical(message.url)
        }
        var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData, timeoutInterval: seconds)
        request.httpMethod = message.method
        request.httpShouldHandleCookies = false
        // URLSession sends no GET that has a body, be it an empty one.
        if message.method != "GET" { request.httpBody = Data(message.body) }
        for header in message.headers { request.setValue(header.value, forHTTPHeaderField: header.name) }
        let (body, response) = try await answer(to: request, upTo: message.maxAnswerOctets)
        return ServiceAnswer(head: AnswerHead(response), body: [UInt8](body))
    }

    /// URLSession's own time runs anew with each octet that comes, and all requests wait for one enrolment: who sends
    /// an octet now and then must not hold them.
    private func answer(to request: URLRequest, upTo limit: Int) async throws -> (Data, HTTPURLResponse) {
        try await withThrowingTaskGroup(of: (Data, HTTPURLResponse).self) { [courier, seconds] group in
            group.addTask { try await courier.data(for: request, upTo: limit) }
            group.addTask {
                try await SystemClock().sleep(seconds)
                throw URLError(.timedOut)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw URLError(.unknown) }
            return first
        }
    }
}

extension AnswerHead {
    /// The head of an answer as URLSession tells it: fields that stood twice are joined by commas.
    init(_ response: HTTPURLResponse) {
        let fields = response.allHeaderFields.compactMap { name, value -> (String, String)? in
            guard let name = name as? String, let value = value as? String else { return nil }
            return (name, value)
        }
        self.init(status: response.statusCode, fields: Dictionary(fields) { first, _ in first })
    }
}
