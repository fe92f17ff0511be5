import CMartlet
import MartletWire

/// What channel ends need to know while a value that holds some is encoded or decoded: for which context, and by which
/// offers they leave it. Encoding is synchronous, so the thread can carry it; nothing is paid by values without channels.
struct ChannelPassage {
    private unowned let runtime: ContextRuntime
    private var offers: [ChannelToken] = []
    private var claims = 0
    /// How many ends one message may bring: each costs a stream, and its sender only some bytes.
    static let claimLimit = 4096

    private init(_ runtime: ContextRuntime) { self.runtime = runtime }

    /// Runs `body`, in which channel ends may be decoded; and encoded, if `tokens` is given.
    ///
    /// - Parameter tokens: gets the ends that were passed on. If `body` throws they are taken back.
    @inline(__always)
    static func with<R>(
        _ runtime: ContextRuntime, _ tokens: inout [ChannelToken], _ body: () throws -> R
    ) rethrows -> R {
        var passage = ChannelPassage(runtime)
        return try withUnsafeMutablePointer(to: &passage) { pointer in
            let outer = martlet_thread_passage()
            martlet_set_thread_passage(pointer)
            defer { martlet_set_thread_passage(outer) }
            do {
                let result = try body()
                tokens = pointer.pointee.offers
                return result
            } catch {
                for token in pointer.pointee.offers { takeBack(token, runtime) }
                throw error
            }
        }
    }

    /// The same for decoding only.
    @inline(__always)
    static func with<R>(_ runtime: ContextRuntime, _ body: () throws -> R) rethrows -> R {
        var none: [ChannelToken] = []
        return try with(runtime, &none, body)
    }

    private static func takeBack(_ token: ChannelToken, _ runtime: ContextRuntime) {
        guard let (pipe, side) = runtime.channels.find(token), runtime.channels.claim(token) else { return }
        pipe.takeBack(side)
    }

    private static var current: UnsafeMutablePointer<ChannelPassage>? {
        martlet_thread_passage()?.assumingMemoryBound(to: ChannelPassage.self)
    }

    /// The context for which something is encoded or decoded on this thread now.
    static var runtime: ContextRuntime? { current?.pointee.runtime }
    /// Whether the message that is decoded on this thread may bring one end more.
    static func mayClaim() -> Bool {
        guard let current, current.pointee.claims < claimLimit else { return false }
        current.pointee.claims += 1
        return true
    }

    static func add(_ token: ChannelToken) { current?.pointee.offers.append(token) }
}
