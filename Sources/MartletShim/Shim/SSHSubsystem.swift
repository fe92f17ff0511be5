import Martlet

/// What a subsystem's name stands for there: nobody but the far sshd knows, so its configuration is asked, and the places where
/// systems keep `sftp-server`.
enum SSHSubsystem {
    private static let script = """
        cd 2>/dev/null
        for file in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf /usr/local/etc/ssh/sshd_config; do
            [ -r "$file" ] || continue
            line=$(sed -n "s/^[[:space:]]*[Ss][Uu][Bb][Ss][Yy][Ss][Tt][Ee][Mm][[:space:]]\\{1,\\}$1[[:space:]]\\{1,\\}//p" "$file" | head -n 1)
            [ -n "$line" ] || continue
            first=${line%%[ 	]*}
            if [ -x "$first" ]; then exec sh -c "exec $line"; fi
            break
        done
        if [ "$1" = sftp ]; then
            for file in /usr/lib/openssh /usr/libexec/openssh /usr/libexec /usr/lib/ssh /usr/lib64/ssh /usr/lib64/misc \\
                /usr/lib /usr/local/libexec; do
                if [ -x "$file/sftp-server" ]; then exec "$file/sftp-server"; fi
            done
            if file=$(command -v sftp-server); then exec "$file"; fi
            echo "subsystem request failed on channel 0: no sftp-server on this machine; scp -O, rsync and tar need none" >&2
            exit 255
        fi
        echo "subsystem request failed on channel 0: no subsystem $1 in this machine's sshd_config" >&2
        exit 255
        """

    /// `nil` for a name that can be none.
    static func program(_ name: String) -> JoinedRequest.Program? {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "@"):
                true
            default: false
            }
        }
        return isPlain && !name.isEmpty ? .program("/bin/sh", ["-c", script, "sh", name]) : nil
    }
}
