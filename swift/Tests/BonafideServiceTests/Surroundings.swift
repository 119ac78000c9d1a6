import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation

/// The machine's time, as a device has it whose user set the clock.
final class DeviceClock: BonafideCore.Clock {
    private let state = Guarded<(offset: Double, leap: Double)>((0, 0))
    private let real = SystemClock()

    func wall() -> Double { real.wall() + state.withLock { $0.offset + $0.leap } }
    func steady() -> Double { real.steady() + state.withLock { $0.leap } }

    func sleep(_ seconds: Double) async throws { try await real.sleep(seconds) }

    /// The user sets the clock by so much.
    func set(by seconds: Double) { state.withLock { $0.offset += seconds } }

    /// So many seconds pass on the device, and nowhere else: the service looks back by as much.
    func leap(_ seconds: Double) { state.withLock { $0.leap += seconds } }
}

/// The way to the service, and what befalls messages on it.
final class Network: Transport {
    enum Weather: Sendable {
        case clear
        /// Nothing arrives.
        case down
        /// The message arrives, and its answer does not.
        case answersAreLost
        /// Somebody on the way writes another answer.
        case forged(@Sendable (ServiceAnswer) -> ServiceAnswer)
    }

    struct Lost: Error {}

    private struct State {
        var weather: [(path: String, times: Int, weather: Weather)] = []
        var sent: [String] = []
    }

    private let real: any Transport
    private let state = Guarded(State())

    init(_ real: any Transport) { self.real = real }

    /// The last part of the path of every message that was sent, in order.
    var sent: [String] { state.withLock { $0.sent } }

    /// What befalls the next `times` messages to `path` (`challenge`, `instances`, `renewals`).
    func expect(_ weather: Weather, _ path: String, times: Int = 1) {
        state.withLock { $0.weather.append((path, times, weather)) }
    }

    func send(_ message: ServiceMessage) async throws -> ServiceAnswer {
        let path = String(message.url.split(separator: "/").last ?? "")
        let weather: Weather = state.withLock { state in
            state.sent.append(path)
            guard let index = state.weather.firstIndex(where: { $0.path == path && $0.times > 0 }) else {
                return .clear
            }
            state.weather[index].times -= 1
            return state.weather[index].weather
        }
        switch weather {
        case .clear: return try await real.send(message)
        case .down: throw Lost()
        case .answersAreLost:
            _ = try await real.send(message)
            throw Lost()
        case .forged(let forge): return forge(try await real.send(message))
        }
    }
}
