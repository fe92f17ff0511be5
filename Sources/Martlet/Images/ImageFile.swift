import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One file of an image: an executable or a library, as it is sent.
struct ImageFile: Sendable {
    var path: String
    /// What the far side calls it.
    var name: String
    var hash: String
    /// What is sent: without symbols and debug information.
    var byteCount: Int
    var machine: String
    var isDynamic: Bool
    var needed: [String]
    var runPath: [String]

    /// - Throws: ``MartletError`` `imageUnusable` that says what is wrong with the file.
    init(path: String, name: String) throws(MartletError) {
        self.path = path
        self.name = name
        do {
            let elf: (ELFFile, String)? = try Self.withContent(of: path) { bytes in
                guard let elf = ELFFile(bytes) else { return nil }
                if let id = elf.buildID, id.count >= 16 { return (elf, id.prefix(20).hexadecimal) }
                var digest = [UInt8](repeating: 0, count: 32)
                let content = Self.withoutSections(bytes, elf.loadedSize)
                martlet_sha256(content, content.count, &digest)
                return (elf, digest.prefix(20).hexadecimal)
            }
            guard let (file, hash) = elf else {
                throw MartletError(.imageUnusable, "\(path) is not a 64-bit ELF executable")
            }
            self.hash = hash
            byteCount = file.loadedSize
            machine = file.machine
            isDynamic = file.isDynamic
            needed = file.needed
            runPath = file.runPath
        } catch let error as SystemError {
            throw MartletError(.imageUnusable, "\(error)")
        } catch let error as MartletError {
            throw error
        } catch {
            throw MartletError(.imageUnusable, "\(path): \(error)")
        }
    }

    /// The bytes that are sent.
    func content() throws -> [UInt8] {
        try Self.withContent(of: path) { bytes in
            guard bytes.count >= byteCount else { throw SystemError(EIO, "read \(path): it has become shorter") }
            return Self.withoutSections(bytes, byteCount)
        }
    }

    /// All bytes of a file.
    static func bytes(of path: String) throws -> [UInt8] { try withContent(of: path) { Array($0) } }

    /// What is loaded, with a header that knows of no table of sections.
    private static func withoutSections(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> [UInt8] {
        var content = Array(bytes[0..<count])
        for index in 40..<48 { content[index] = 0 }
        for index in 60..<64 { content[index] = 0 }
        return content
    }

    private static func withContent<R>(of path: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError(errno, "open \(path)") }
        defer { closeDescriptor(file) }
        var information = stat()
        guard fstat(file, &information) == 0, information.st_size > 0 else { throw SystemError(errno, "read \(path)") }
        let size = Int(information.st_size)
        guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), memory != MAP_FAILED else {
            throw SystemError(errno, "map \(path)")
        }
        defer { munmap(memory, size) }
        return try body(UnsafeRawBufferPointer(start: memory, count: size))
    }
}

extension Sequence<UInt8> {
    var hexadecimal: String {
        map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }
}
