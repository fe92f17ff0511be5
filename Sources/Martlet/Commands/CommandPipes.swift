import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The descriptors between a program and the context that starts it.
struct CommandPipes {
    /// The program's: standard input, output and error.
    private(set) var program: (Int32, Int32, Int32)
    /// Ours. With a terminal, what is written to both outputs comes by the first.
    private(set) var input: Int32
    private(set) var output: Int32
    private(set) var error: Int32?
    /// The controlling side of the program's terminal, to ask and to set; data does not go through this one.
    private(set) var terminal: Int32?

    /// Three pipes; or, with `isConnection`, one connection for standard input.
    ///
    /// - Throws: ``SystemError`` when there are too many descriptors.
    init(isConnection: Bool) throws(SystemError) {
        var made: [Pipe] = []
        do throws(SystemError) {
            made.append(try isConnection ? .connection() : Pipe())
            made.append(try Pipe())
            made.append(try Pipe())
        } catch {
            for pipe in made { pipe.close() }
            throw error
        }
        program = (made[0].readEnd, made[1].writeEnd, made[2].writeEnd)
        (input, output, error) = (made[0].writeEnd, made[1].readEnd, made[2].readEnd)
    }

    /// - Throws: ``SystemError``, mostly because no `/dev/pts` is mounted.
    init(_ terminal: CommandTerminal) throws(SystemError) {
        var (master, slave): (Int32, Int32) = (-1, -1)
        let failure = martlet_terminal_open(&master, &slave)
        guard failure == 0 else { throw SystemError(-failure, "make a terminal") }
        martlet_terminal_resize(master, terminal.columns, terminal.rows)
        program = (slave, slave, slave)
        (input, output, error) = (duplicateDescriptor(master), master, nil)
        self.terminal = duplicateDescriptor(master)
        guard input >= 0, self.terminal! >= 0 else {
            close()
            throw SystemError(EMFILE, "make a terminal")
        }
    }

    /// Once the program has them.
    func closeProgramEnds() {
        for descriptor in Set([program.0, program.1, program.2]) { closeDescriptor(descriptor) }
    }

    /// All, if there will be no program.
    func close() {
        closeProgramEnds()
        for descriptor in [input, output, error ?? -1, terminal ?? -1] where descriptor >= 0 {
            closeDescriptor(descriptor)
        }
    }
}
