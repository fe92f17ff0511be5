import MartletLink
import MartletReactor
import MartletWire

/// Where a detached context can be found on its machine.
struct DetachedPlace: Codable, Sendable, Hashable {
    var id: String
    var socket: String
}

/// How a detach ended.
struct DetachEnd: Codable, Sendable {
    var place: DetachedPlace?
    var failure: MartletError?
}

/// Lets the context live on without its parent when a context above asks for it.
final class IncomingDetach: AcceptedStreamOwner {
    /// The `open` payload.
    struct Request: Codable, Sendable {
        /// In milliseconds.
        var lease: UInt64
    }

    private let key: StreamKey
    private let request: Request
    private let runtime: ContextRuntime

    init(_ key: StreamKey, _ request: Request, _ runtime: ContextRuntime) {
        self.key = key
        self.request = request
        self.runtime = runtime
    }

    func begin() {
        let lease = request.lease.multipliedReportingOverflow(by: 1_000_000)
        runtime.host?.detach(lease.overflow ? .max / 2 : min(lease.partialValue, .max / 2)) { [runtime, key] result in
            var end = DetachEnd()
            switch result {
            case .success(let place): end.place = place
            case .failure(let error): end.failure = error
            }
            runtime.node.sendEnd(key, (try? CBOREncoder().encode(end)) ?? [])
        }
    }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func wasReset(_ reason: ResetReason) {}
}
