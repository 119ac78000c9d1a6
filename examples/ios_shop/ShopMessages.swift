import Bonafide
import Foundation

/// What the user is told. Which error means what: the page "Errors" of the SDK's documentation.
func text(for error: any Error) -> String {
    switch error {
    case let error as BonafideError: text(for: error)
    case ShopError.notAdmitted("update_app", _): "This version is too old. Get the new one from the App Store."
    case ShopError.notAdmitted(_, let record): "The shop did not take this request. Record: \(record ?? "none")"
    case ShopError.notLoggedIn: "Wrong name or password, or logged out."
    case is URLError: "The shop cannot be reached. Are you online?"
    default: "Something went wrong."
    }
}

private func text(for error: BonafideError) -> String {
    switch error {
    case .clockWrong: "The clock of this device is wrong. Set it in Settings, then try again."
    case .stopped(.updateApp), .refused(_, .updateApp, _):
        "This version is too old. Get the new one from the App Store."
    case .stopped: "The shop does not work on this device now. Start the app again later."
    case .unsupportedDevice: "The shop does not work on this device."
    case .outcomeUnknown: "We do not know whether this went through. Look before you try again."
    case .refused(_, _, let record): "The shop did not take this device. Record: \(record ?? "none")"
    case .throttled, .busy, .storageUnavailable, .keyUnavailable: "Not now. Try again in a minute."
    case .transport: "The shop cannot be reached. Are you online?"
    default: "Something went wrong: \(error)"
    }
}
