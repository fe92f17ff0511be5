import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Turns SIGINT, SIGTERM and SIGHUP into an ``Interruption``. The second one ends the program at once.
enum Signals {
    // A signal handler can be handed nothing, so its pipe is a constant that is there before the handler is.
    private static let pipe = try? Pipe()

    /// What the shell that started us ignores (nohup, a job in the background) stays ignored.
    static func forward(to interruption: Interruption, reactor: Reactor) {
        guard let pipe else { return }
        let source = ByteSource(pipe.readEnd, reactor: reactor) { bytes in
            for number in bytes where !interruption.fire(.signal(Int32(number))) {
                RawTerminal.restore()
                _exit(128 + Int32(number))
            }
            return true
        } onEnd: {
        }
        source.resume()
        install(SIGINT, repeatedly: false)
        install(repeatedly: false)
    }

    /// What somebody sends to end us.
    ///
    /// - Parameter repeatedly: each comes here; else the first, and the next one does what it does to any program: that works
    ///   even if we hang.
    static func install(repeatedly: Bool) {
        for number in [SIGTERM, SIGHUP] { install(number, repeatedly: repeatedly) }
    }

    private static func install(_ number: Int32, repeatedly: Bool) {
        var old = sigaction()
        guard sigaction(number, nil, &old) == 0 else { return }
        #if canImport(Glibc)
        let ignored = unsafeBitCast(old.__sigaction_handler.sa_handler, to: Int.self) == 1
        #else
        let ignored = unsafeBitCast(old.__sa_handler.sa_handler, to: Int.self) == 1
        #endif
        guard !ignored else { return }
        var action = sigaction()
        let handler: @convention(c) (Int32) -> Void = { number in
            let saved = errno
            var byte = UInt8(truncatingIfNeeded: number)
            if let pipe = Signals.pipe { _ = write(pipe.writeEnd, &byte, 1) }
            errno = saved
        }
        #if canImport(Glibc)
        action.__sigaction_handler.sa_handler = handler
        #else
        action.__sa_handler.sa_handler = handler
        #endif
        action.sa_flags = Int32(truncatingIfNeeded: SA_RESTART)
        if !repeatedly { action.sa_flags |= Int32(truncatingIfNeeded: SA_RESETHAND) }
        sigaction(number, &action, nil)
    }

    /// The name without `SIG`, of those that can end us.
    static func name(_ number: Int32) -> String {
        switch number {
        case SIGINT: "Ctrl-C"
        case SIGTERM: "SIGTERM"
        case SIGHUP: "SIGHUP"
        default: "signal \(number)"
        }
    }
}

extension Output {
    /// Tells a person that a signal has ended us, if one has.
    func tell(_ cause: Interruption.Cause?) {
        guard case .signal(let number)? = cause else { return }
        say(errorStyle.warning("ended by \(Signals.name(number))"), to: .error)
    }
}
