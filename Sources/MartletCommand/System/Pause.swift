import MartletReactor

/// A wait on the reactor's own clock.
enum Pause {
    /// Waits; returns early if the task is cancelled.
    static func wait(_ duration: Duration) async {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
        let gate = Gate()
        let timer = Reactor.shared.schedule(at: Reactor.now + nanoseconds) { gate.open() }
        await withTaskCancellationHandler {
            await gate.wait()
        } onCancel: {
            gate.open()
        }
        Reactor.shared.cancel(timer)
    }
}
