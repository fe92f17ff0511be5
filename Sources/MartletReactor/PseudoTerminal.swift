import CMartlet
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A terminal that we hold, for a program that asks nowhere else.
package final class PseudoTerminal: Sendable {
    /// Both ends are kept: without an open end on its side, the program would lose its terminal.
    private let source: ByteSource
    private let master: Int32
    private let slave: Mutex<Int32?>

    /// - Parameter onBytes: gets what programs write to it, on the polling thread; reading is paused until ``resume()``.
    /// - Throws: ``SystemError``, mostly because no `/dev/pts` is mounted.
    package init(
        reactor: Reactor, onBytes: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
    ) throws(SystemError) {
        var master: Int32 = -1
        var slave: Int32 = -1
        let error = martlet_terminal_open(&master, &slave)
        guard error == 0 else { throw SystemError(-error, "make a terminal for the program to ask on") }
        self.master = master
        self.slave = Mutex(slave)
        source = ByteSource(master, reactor: reactor, maximumRead: 4096) { bytes in
            onBytes(bytes)
            return true
        } onEnd: {
        }
    }

    /// Begins to read.
    package func resume() { source.resume() }

    /// For ``SpawnRequest/terminal``. Only while it is not closed.
    package var descriptor: Int32? { slave.withLock { $0 } }

    /// Whether what is typed is shown.
    package var echoes: Bool { slave.withLock { $0 != nil && martlet_terminal_echoes(master) } }

    /// Types `bytes`; they are shown to nobody. What does not fit into the terminal's buffer (4 KiB) is lost.
    package func type(_ bytes: UnsafeRawBufferPointer) {
        slave.withLock { slave in
            guard slave != nil else { return }
            martlet_terminal_hide(master)
            _ = write(master, bytes.baseAddress!, bytes.count)
        }
    }

    /// Hangs up: what still has it as its terminal gets SIGHUP.
    package func close() {
        slave.withLock { slave in
            guard let descriptor = slave else { return }
            slave = nil
            closeDescriptor(descriptor)
            source.close()
        }
    }
}
